import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Heap } from "../../src/limits/heap.ts";

interface Item {
  place: number;
  rank: number;
}

describe("a heap", () => {
  it("has the first of its items on top, whichever came, left and moved", () => {
    const step = fc.record({ action: fc.constantFrom("add", "remove", "move"), which: fc.nat(100), rank: fc.integer({ min: -20, max: 20 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = new Heap<Item>((a, b) => a.rank < b.rank);
        const items: Item[] = [];
        for (const { action, which, rank } of steps) {
          const at = which % Math.max(1, items.length);
          const item = items[at];
          if (action === "add" || !item) {
            const added = { place: -1, rank };
            items.push(added);
            heap.add(added);
          } else if (action === "remove") {
            items.splice(at, 1);
            heap.remove(item);
            expect(item.place).toBe(-1);
          } else {
            item.rank = rank;
            heap.moved(item);
          }
          expect(heap.size).toBe(items.length);
          expect(heap.first?.rank).toBe(items.length === 0 ? undefined : Math.min(...items.map((each) => each.rank)));
        }
        const order = items.map(() => {
          const { first } = heap;
          heap.remove(first as Item);
          return (first as Item).rank;
        });
        expect(order).toEqual(order.toSorted((a, b) => a - b));
      }),
      { seed: 4 },
    );
  });
});
