// When an instance's data are loaded anew, because updates have left too much memory behind that cannot be used again.

/** That is when its data take this much more than one and a half times what they would if they were loaded anew. */
export const SLACK_BYTES = 16 * 1024 * 1024;
export const SLACK_FACTOR = 1.5;
/** Bytes of an instance's memory for a byte of JSON, where too little was loaded to know better: that of short texts. */
export const MEMORY_FACTOR = 12;
/** After updates for which there was no memory, until all of it is tried again. */
export const RELOAD_DELAY_MS = 30_000;
