/** Reads the data of Server-Sent Events out of text that comes in pieces (HTML standard, 9.2.6). */
export class EventReader {
  /** The line that has begun. */
  #line = ''
  #data: string[] = []
  /** Whether the last piece ended with a CR, whose LF may follow. */
  #afterReturn = false

  /** Takes a piece; gives the data of the events that end in it. Other fields are left out. */
  read(piece: string): string[] {
    const events: string[] = []
    let start = this.#afterReturn && piece.startsWith('\n') ? 1 : 0
    if (piece !== '') this.#afterReturn = piece.endsWith('\r')
    const ends = /\r\n|\n|\r/g
    ends.lastIndex = start
    for (let end = ends.exec(piece); end !== null; end = ends.exec(piece)) {
      const line = this.#line + piece.slice(start, end.index)
      this.#line = ''
      start = ends.lastIndex
      if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5))
      if (line !== '' || this.#data.length === 0) continue
      events.push(this.#data.join('\n'))
      this.#data = []
    }
    this.#line += piece.slice(start)
    return events
  }
}
