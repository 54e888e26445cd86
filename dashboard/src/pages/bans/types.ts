import type { Ban } from "../../api/types";
export type { NewBan } from "../../api/types";
export type BanOn = Ban["as"];
