import type { BusListener, Invalidation, Position } from "../../../src/stores/bus.ts";

/** Writes down what a bus tells. */
export class Heard implements BusListener {
  /** In the order of telling: the label of an invalidation, `all`, or `lost`. */
  readonly log: string[] = [];
  readonly failures: string[] = [];
  position: Position | undefined;

  invalidated(invalidation: Invalidation, position: Position): void {
    this.log.push("all" in invalidation ? "all" : invalidation.groups.flat().join());
    this.position = position;
  }

  lost(position: Position): void {
    this.log.push("lost");
    this.position = position;
  }

  failed(error: Error): void {
    this.failures.push(error.message);
  }
}

export function label(name: string): Invalidation {
  return { groups: [[name]] };
}
