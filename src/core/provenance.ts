/** What is known of the answers of which a result is made: of a doubtful one, e.g. incomplete or past its time, nothing may be kept. */
export interface Provenance {
  isDoubtful: boolean;
  /** The result of which this one becomes a part. */
  readonly around: Provenance | undefined;
}

/** A doubtful answer makes everything doubtful that it becomes a part of. */
export function doubt(provenance: Provenance | undefined): void {
  for (let at = provenance; at; at = at.around) at.isDoubtful = true;
}
