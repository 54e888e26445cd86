// Sparkplug B payloads: the protobuf message Payload, as far as people want to see it.

type Value = string | number | boolean | null | Fields[];
interface Fields {
  [name: string]: Value | Fields;
}

const TYPES: Record<number, string> = {
  1: "Int8", 2: "Int16", 3: "Int32", 4: "Int64", 5: "UInt8", 6: "UInt16", 7: "UInt32", 8: "UInt64", 9: "Float",
  10: "Double", 11: "Boolean", 12: "String", 13: "DateTime", 14: "Text", 15: "UUID", 16: "DataSet", 17: "Bytes",
  18: "File", 19: "Template",
};

interface Field {
  number: number;
  wire: number;
  value: bigint;
  bytes: Uint8Array;
}

function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) throw new Error("it ends too early");
      at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw new Error("a number is too long");
  };
  const take = (length: number): number => {
    if (at + length > bytes.length) throw new Error("it ends too early");
    const from = at;
    at += length;
    return from;
  };
  while (at < bytes.length) {
    const key = varint();
    const number = Number(key >> 3n);
    const wire = Number(key & 7n);
    if (number === 0) throw new Error("a field has no number");
    const none = new Uint8Array();
    if (wire === 0) yield { number, wire, value: varint(), bytes: none };
    else if (wire === 1) yield { number, wire, value: view.getBigUint64(take(8), true), bytes: none };
    else if (wire === 5) yield { number, wire, value: BigInt(view.getUint32(take(4), true)), bytes: none };
    else if (wire === 2) {
      const length = Number(varint());
      const from = take(length);
      yield { number, wire, value: 0n, bytes: bytes.subarray(from, from + length) };
    } else throw new Error("a field is of no known kind");
  }
}

const text = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const signed = (value: bigint, bits: number): number => Number(BigInt.asIntN(bits, value));

function float(value: bigint, bits: 32 | 64): number {
  const view = new DataView(new ArrayBuffer(8));
  if (bits === 32) view.setUint32(0, Number(value));
  else view.setBigUint64(0, value);
  return bits === 32 ? view.getFloat32(0) : view.getFloat64(0);
}

function metric(bytes: Uint8Array): Fields {
  const found: Fields = {};
  let type = 0;
  for (const field of fields(bytes)) {
    switch (field.number) {
      case 1:
        found["name"] = text(field.bytes);
        break;
      case 2:
        found["alias"] = Number(field.value);
        break;
      case 3:
        found["timestamp"] = stamp(field.value);
        break;
      case 4:
        type = Number(field.value);
        found["datatype"] = TYPES[type] ?? type;
        break;
      case 7:
        if (field.value) found["value"] = null;
        break;
      case 10:
        found["value"] = type >= 1 && type <= 3 ? signed(field.value, 32) : Number(field.value);
        break;
      case 11:
        found["value"] = type === 13 ? stamp(field.value) : type === 4 ? signed(field.value, 64) : Number(field.value);
        break;
      case 12:
        found["value"] = float(field.value, 32);
        break;
      case 13:
        found["value"] = float(field.value, 64);
        break;
      case 14:
        found["value"] = field.value !== 0n;
        break;
      case 15:
        found["value"] = text(field.bytes);
        break;
      case 16:
      case 17:
      case 18:
        found["value"] = `${field.bytes.length} bytes`;
        break;
      default:
        break;
    }
  }
  return found;
}

const stamp = (value: bigint): string | number => {
  const date = new Date(Number(value));
  return Number.isNaN(date.getTime()) ? Number(value) : date.toISOString();
};

export function decodeSparkplug(bytes: Uint8Array): Fields {
  const found: Fields = {};
  const metrics: Fields[] = [];
  for (const field of fields(bytes)) {
    if (field.number === 1 && field.wire === 0) found["timestamp"] = stamp(field.value);
    else if (field.number === 2 && field.wire === 2) metrics.push(metric(field.bytes));
    else if (field.number === 3 && field.wire === 0) found["seq"] = Number(field.value);
    else if (field.number === 4 && field.wire === 2) found["uuid"] = text(field.bytes);
    else if (field.number === 5 && field.wire === 2) found["body"] = `${field.bytes.length} bytes`;
    else throw new Error("a field is of no known kind");
  }
  found["metrics"] = metrics;
  return found;
}
