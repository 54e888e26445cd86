// CBOR (RFC 8949) to values that JSON can show. Bounded: it goes at most 32 deep, and no length in
// it is believed beyond the bytes that are there.

const DEEPEST = 32;

export function decodeCbor(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.item(0);
  if (!reader.done) throw new Error("there is more after its end");
  return value;
}

const BREAK = Symbol("break");

class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  private take(length: number): number {
    if (length < 0 || this.at + length > this.bytes.length) throw new Error("it ends too early");
    const from = this.at;
    this.at += length;
    return from;
  }

  private length(extra: number): number {
    if (extra < 24) return extra;
    if (extra === 24) return this.view.getUint8(this.take(1));
    if (extra === 25) return this.view.getUint16(this.take(2));
    if (extra === 26) return this.view.getUint32(this.take(4));
    if (extra === 27) return Number(this.view.getBigUint64(this.take(8)));
    throw new Error("a length is not valid");
  }

  item(depth: number): unknown {
    if (depth > DEEPEST) throw new Error("it is nested too deeply");
    const head = this.view.getUint8(this.take(1));
    const major = head >> 5;
    const extra = head & 31;
    if (major === 7) return this.simple(extra);
    if (extra === 31) return this.endless(major, depth);
    const length = this.length(extra);
    switch (major) {
      case 0:
        return length;
      case 1:
        return -1 - length;
      case 2:
        return hex(this.slice(length));
      case 3:
        return new TextDecoder("utf-8", { fatal: true }).decode(this.slice(length));
      case 4:
        return this.many(length, depth);
      case 5:
        return this.map(length, depth);
      default: {
        const value = this.item(depth + 1);
        return { tag: length, value };
      }
    }
  }

  private slice(length: number): Uint8Array {
    const from = this.take(length);
    return this.bytes.subarray(from, from + length);
  }

  private many(length: number, depth: number): unknown[] {
    const found: unknown[] = [];
    for (let n = 0; n < length; n += 1) found.push(this.item(depth + 1));
    return found;
  }

  private map(length: number, depth: number): Record<string, unknown> {
    const found: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (let n = 0; n < length; n += 1) {
      const key = this.item(depth + 1);
      found[typeof key === "string" ? key : JSON.stringify(key)] = this.item(depth + 1);
    }
    return found;
  }

  private endless(major: number, depth: number): unknown {
    const found: unknown[] = [];
    for (;;) {
      const value = this.item(depth + 1);
      if (value === BREAK) break;
      found.push(value);
    }
    if (major === 2 || major === 3) return found.join("");
    if (major === 4) return found;
    if (major !== 5) throw new Error("a length is missing");
    const map: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (let at = 0; at + 1 < found.length; at += 2) map[String(found[at])] = found[at + 1];
    return map;
  }

  private simple(extra: number): unknown {
    switch (extra) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 23:
        return "undefined";
      case 25:
        return half(this.view.getUint16(this.take(2)));
      case 26:
        return this.view.getFloat32(this.take(4));
      case 27:
        return this.view.getFloat64(this.take(8));
      case 31:
        return BREAK;
      default:
        throw new Error("a value is of no known kind");
    }
  }
}

const hex = (bytes: Uint8Array): string => `h'${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}'`;

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
