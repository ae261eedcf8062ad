/** Hands each block of the microphone's first channel to the page. An AudioWorklet loads by URL alone. */
class Capture extends AudioWorkletProcessor {
  process(inputs) {
    const channel = inputs[0]?.[0];
    // A copy: the array is used again for the next block.
    if (channel !== undefined) this.port.postMessage(channel.slice());
    return true;
  }
}

registerProcessor('capture', Capture);
