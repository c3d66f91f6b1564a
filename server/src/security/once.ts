/** The act, which later calls do not repeat. */
export function once(act: (used?: number) => void): (used?: number) => void {
  let done = false;
  return (used) => {
    if (done) return;
    done = true;
    act(used);
  };
}
