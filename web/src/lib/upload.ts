// Sending one's own images: a folder file by file, or a zip archive in one piece.
import { Problem, send, sendBytes } from "../api/client";
import type { UploadProgress, UploadResult, UploadTicket } from "../api/types";

const AT_ONCE = 4;
const IMAGE = /\.(png|jpe?g|gif|bmp|webp|tiff?)$/i;

export interface Sending {
  done: number;
  total: number;
}

export async function upload(
  name: string,
  files: File[],
  onProgress: (sending: Sending) => void,
): Promise<UploadResult> {
  const archive = files.length === 1 && /\.zip$/i.test(files[0]!.name) ? files[0]! : null;
  const images = archive ? [] : files.filter((file) => IMAGE.test(file.name));
  if (!archive && images.length === 0) {
    throw new Problem("There are no image files in that. Choose a folder with one folder for each class, or a zip file of one.", 0);
  }
  const ticket = await send<UploadTicket>("POST", "uploads", {}, { name });
  try {
    if (archive && archive.size > ticket.archive_bytes) {
      throw new Problem(`The archive is larger than ${ticket.archive_bytes >> 20} MB. Send less.`, 0);
    }
    if (images.length > ticket.files) {
      throw new Problem(`That is more than ${ticket.files} images. Send fewer.`, 0);
    }
    if (archive) {
      onProgress({ done: 0, total: 1 });
      await sendBytes<UploadProgress>("PUT", `uploads/${ticket.ticket}/archive`, {}, archive);
    } else {
      await sendAll(ticket.ticket, images, onProgress);
    }
    return await send<UploadResult>("POST", `uploads/${ticket.ticket}/finish`);
  } catch (error) {
    await send("DELETE", `uploads/${ticket.ticket}`).catch(() => null);
    throw error;
  }
}

async function sendAll(
  ticket: string,
  images: File[],
  onProgress: (sending: Sending) => void,
): Promise<void> {
  const waiting = [...images];
  let done = 0;
  const worker = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      const path = file.webkitRelativePath || file.name;
      await sendBytes<UploadProgress>("PUT", `uploads/${ticket}/file`, { path }, file);
      onProgress({ done: ++done, total: images.length });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
