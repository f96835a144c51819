// How the mirror's thread says something: a line for the log of the pod.
export type MirrorLog = (level: 'info' | 'warn' | 'error', fields: object, message: string) => void;
