// No record is as long: 16 KiB of output, escaped, and its attributes. What is longer is what a crash left of a file.
const LONGEST = 4 << 20;

/** Cuts bytes that come in pieces into lines, without their newlines; a line that is not finished waits for the next piece. */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(piece: Buffer): Buffer[] {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : piece;
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = data.indexOf(0x0a); at !== -1; at = data.indexOf(0x0a, from)) {
      lines.push(data.subarray(from, at));
      from = at + 1;
    }
    this.#rest = data.length - from > LONGEST ? Buffer.alloc(0) : data.subarray(from);
    return lines;
  }
}
