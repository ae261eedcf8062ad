import fc from 'fast-check';
import { expect, it } from 'vitest';
import { layOutMap } from '../../demo/map-layout.ts';

const input = fc
  .record({
    width: fc.integer({ min: 320, max: 1400 }),
    height: fc.integer({ min: 160, max: 300 }),
    weightBytes: fc.array(fc.integer({ min: 0, max: 1e9 }), { minLength: 1, maxLength: 80 }),
    place: fc.double({ min: 0, max: 1, noNaN: true }),
    crossingBytes: fc.integer({ min: 0, max: 1e9 }),
  })
  .map(({ place, ...rest }) => ({ ...rest, cut: Math.round(place * rest.weightBytes.length) }));

it('keeps every block on the map, in order, without overlap', () => {
  fc.assert(
    fc.property(input, (map) => {
      let right = 0;
      for (const block of layOutMap(map).blocks) {
        expect(block.x).toBeGreaterThanOrEqual(right);
        expect(block.width).toBeGreaterThan(0);
        expect(block.y).toBeGreaterThan(0);
        expect(block.y + block.height).toBeLessThan(map.height);
        right = block.x + block.width - 1e-6;
      }
      expect(right).toBeLessThan(map.width);
    }),
  );
});

it("puts the strip between the device's blocks and the endpoint's, and draws none where nothing crosses", () => {
  fc.assert(
    fc.property(input, (map) => {
      const { blocks, strip } = layOutMap(map);
      expect(strip === undefined).toBe(map.cut === map.weightBytes.length);
      if (strip === undefined) return;
      const last = blocks[map.cut - 1];
      const next = blocks[map.cut];
      if (last !== undefined) expect(last.x + last.width).toBeLessThan(strip.left);
      expect(next?.x).toBeGreaterThan(strip.right);
    }),
  );
});

it('draws a wider strip for more bytes, and outlines without holes in their numbers', () => {
  const at = (crossingBytes: number) =>
    layOutMap({ width: 360, height: 186, weightBytes: [1, 100, 5], cut: 1, crossingBytes });
  const halves = [0, 100, 10_000, 1e6].map((size) => at(size).strip?.halfHeight ?? 0);
  expect(halves).toEqual([...halves].sort((a, b) => a - b));
  expect(new Set(halves).size).toBe(4);
  expect(at(1e12).strip?.halfHeight).toBe(at(1e6).strip?.halfHeight);
  expect(`${at(5).device}${at(5).endpoint}`).not.toMatch(/NaN|undefined|Infinity/);
});
