/**
 * Joules that a plan takes from the user's battery. An estimate, and no more: a page cannot measure
 * power. What it rests on is one table, which a user of the library can replace.
 *
 * Radio: Huang et al., "A Close Examination of Performance and Power Characteristics of 4G LTE
 * Networks" (MobiSys 2012), table 4: mW per Mbit/s up and down, and the base power while data flows.
 * Processor: what a device of the class sustains with its cores busy; phones throttle to some 3 W, and
 * notebook processors are specified at 15 W.
 */
export interface EnergyRates {
  /** Watts of the processor while it runs blocks. */
  readonly deviceWatts: number;
  readonly upJoulesPerByte: number;
  readonly downJoulesPerByte: number;
  /** Watts of the radio while something crosses. */
  readonly radioWatts: number;
}

export type DeviceClass = 'phone' | 'computer';
export type LinkKind = 'wifi' | 'lte' | '3g' | 'wired';

const DEVICE_WATTS: { readonly [kind in DeviceClass]: number } = { phone: 3, computer: 15 };

/** The paper's mW per Mbit/s are nJ per bit: 8e-9 times that in joules per byte. */
const JOULES_PER_BYTE = 8e-9;

const RADIO: { readonly [kind in LinkKind]: { up: number; down: number; baseWatts: number } } = {
  lte: { up: 438.39, down: 51.97, baseWatts: 1.288 },
  '3g': { up: 868.98, down: 122.12, baseWatts: 0.818 },
  wifi: { up: 283.17, down: 137.01, baseWatts: 0.133 },
  wired: { up: 0, down: 0, baseWatts: 0 },
};

export function energyRates(device: DeviceClass, link: LinkKind): EnergyRates {
  const { up, down, baseWatts } = RADIO[link];
  return {
    deviceWatts: DEVICE_WATTS[device],
    upJoulesPerByte: up * JOULES_PER_BYTE,
    downJoulesPerByte: down * JOULES_PER_BYTE,
    radioWatts: baseWatts,
  };
}

/** What a plan does on the device and on the link, in ms and bytes. */
export interface EnergyUse {
  readonly deviceMs: number;
  readonly linkMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export function joulesOf(use: EnergyUse, rates: EnergyRates): number {
  return (
    (use.deviceMs * rates.deviceWatts + use.linkMs * rates.radioWatts) / 1000 +
    use.bytesUp * rates.upJoulesPerByte +
    use.bytesDown * rates.downJoulesPerByte
  );
}
