/** True for a share of the times that it is asked, evenly spread. */
export class Evenly {
  #sum = 0;

  next(share: number): boolean {
    this.#sum += share;
    if (this.#sum < 1) return false;
    this.#sum -= 1;
    return true;
  }
}
