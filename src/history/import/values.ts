/** Values of a stranger's file, each by its type: what is of another one is nothing. */
import type { Role } from "../../api/history.ts";
import { MODEL_CHARACTERS } from "../shapes.ts";

export type Json = Readonly<Record<string, unknown>>;

export function roleOf(value: unknown): Role | undefined {
  return value === "user" || value === "assistant" || value === "system" || value === "tool"
    ? value
    : undefined;
}

export function model(value: unknown): { model?: string } {
  return typeof value === "string" && value !== ""
    ? { model: value.slice(0, MODEL_CHARACTERS) }
    : {};
}

/** By how a file begins; of two letters a text may begin so too, so that a bitmap's own size must be true. */
export function isImage(bytes: Uint8Array): boolean {
  const begins = (wanted: readonly number[], at = 0) =>
    wanted.every((byte, i) => bytes[at + i] === byte);
  const isBitmap = () => {
    const { buffer, byteOffset } = bytes;
    return new DataView(buffer, byteOffset).getUint32(2, true) === bytes.length;
  };
  return begins([0x89, 0x50, 0x4e, 0x47]) || begins([0xff, 0xd8, 0xff]) ||
    begins([0x47, 0x49, 0x46, 0x38, 0x37, 0x61]) || begins([0x47, 0x49, 0x46, 0x38, 0x39, 0x61]) ||
    begins([0x52, 0x49, 0x46, 0x46]) && begins([0x57, 0x45, 0x42, 0x50], 8) ||
    begins([0x42, 0x4d]) && bytes.length > 26 && isBitmap();
}

export function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** An id, which may be a number; undefined: it is none. */
export function id(value: unknown): string | undefined {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : undefined;
}

/** The last millisecond that a Date can be (ECMA-262, section 21.4.1.1). */
const LAST_MS = 8.64e15;

/** A time in ms; 0: it is none. */
export function number(value: unknown): number {
  return typeof value === "number" && value > 0 && value <= LAST_MS ? Math.floor(value) : 0;
}

export function seconds(value: unknown): number {
  return number(Number(value) * 1000);
}

/** `2025-08-01 12:00:00.5+02:00` and the like, as Go's driver writes them. */
export function date(value: unknown): number {
  return number(Date.parse(text(value).replace(" ", "T").replace(/(\.\d{3})\d+/, "$1")));
}
