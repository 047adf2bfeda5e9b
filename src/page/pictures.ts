/// <reference lib="dom" />
/** Pictures for a model that sees: what this browser can show, in a form that runners read (docs/decisions/0076). */

const MAX_PICTURE = 10 << 20;

/** How a file of each kind that runners read begins. */
const READ: readonly (readonly number[])[] = [
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x47, 0x49, 0x46, 0x38],
  [0x42, 0x4d],
];

/**
 * A picture in base64; one of another kind, such as WebP, as PNG.
 * @throws {Error} Why it cannot be, in words for who gave it.
 */
export async function pictureOf(file: Blob): Promise<string> {
  if (file.size > MAX_PICTURE) throw new Error("larger than 10 MB");
  // What does not open would be refused with each question of its conversation.
  const image = await createImageBitmap(file).catch(() => {
    throw new Error("not a picture that this browser can read");
  });
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const isRead = READ.some((start) => start.every((byte, i) => bytes[i] === byte));
    return base64Of(isRead ? bytes : await pngOf(image));
  } finally {
    image.close();
  }
}

async function pngOf(image: ImageBitmap): Promise<Uint8Array> {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")!.drawImage(image, 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob === null || blob.size > MAX_PICTURE) throw new Error("larger than 10 MB as PNG");
  return new Uint8Array(await blob.arrayBuffer());
}

function base64Of(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  }
  return btoa(binary);
}
