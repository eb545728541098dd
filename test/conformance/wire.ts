/** Header lines in UTF-8: Node reads and writes each byte of one as a character of its own. */

/** The text whose characters are the UTF-8 bytes of `text`. */
export const asWire = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** The reverse of `asWire`. */
export const asText = (wire: string): string => Buffer.from(wire, 'latin1').toString('utf8');
