/** One physical line of corosync.conf. */
export interface ConfLine {
  readonly kind: 'blank' | 'comment' | 'open' | 'item' | 'close';
  /** The bytes as they are, line end included. The `raw` of all lines together are the file. */
  readonly raw: string;
}

/** A `key: value` line. */
export interface ConfItem {
  readonly key: string;
  /** As corosync reads it: without the blanks around it. A "#" and what follows belongs to it. */
  readonly value: string;
  /** Index in `lines`; the line's number is one more. */
  readonly line: number;
}

/** A block, `name { … }`, or the whole file. */
export interface ConfBlock {
  /** "" for the file. */
  readonly name: string;
  /** The names of all blocks around it and its own, such as `totem.interface`; "" for the file. */
  readonly path: string;
  /** Index in `lines` of the line with "{"; -1 for the file. */
  readonly open: number;
  /** Index in `lines` of the line with "}"; for the file the number of its lines. */
  readonly close: number;
  /** The items directly in it, in order. */
  readonly items: readonly ConfItem[];
  /** The blocks directly in it, in order. */
  readonly blocks: readonly ConfBlock[];
}

/** How the bytes of a file became text, see `FileState.encoding`. */
export type Encoding = 'utf8' | 'latin1';

/** A corosync.conf with every byte kept. */
export interface CorosyncConf {
  /** The name that errors carry. */
  readonly file: string;
  readonly encoding: Encoding;
  readonly lines: readonly ConfLine[];
  readonly root: ConfBlock;
}
