/** Slots below are the machine's own: host bridge, and what every guest has from its boot on. */
const FIRST_SLOT = 4;
const LAST_SLOT = 31;
const FUNCTIONS = 8;

/** As many disks as fit: eight a slot. More than the 127 layers of an image, its top and its interfaces need. */
export const PCI_PLACES = (LAST_SLOT - FIRST_SLOT + 1) * FUNCTIONS;

/** A device's place on the guest's only PCI bus. */
export interface PciPlace {
  /** As QEMU's `addr` has it: `0x4.0x1`. */
  address: string;
  /** As the guest's kernel names it: `0000:00:04.1`. */
  name: string;
  /** A slot's first function says that there are more. */
  multifunction: boolean;
}

/** Hands out places in order. Throws when there are no more. */
export class PciSlots {
  #next = 0;

  next(): PciPlace {
    if (this.#next >= PCI_PLACES) throw new Error(`A guest has places for ${PCI_PLACES} devices`);
    const slot = FIRST_SLOT + Math.floor(this.#next / FUNCTIONS);
    const fn = this.#next % FUNCTIONS;
    this.#next += 1;
    return {
      address: `0x${slot.toString(16)}.0x${fn}`,
      name: `0000:00:${slot.toString(16).padStart(2, '0')}.${fn}`,
      multifunction: fn === 0,
    };
  }
}
