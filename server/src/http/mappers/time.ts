/** The store's milliseconds as the wire's unix seconds. */
export function toSeconds(milliseconds: number): number;
export function toSeconds(milliseconds: number | null): number | null;
export function toSeconds(milliseconds: number | null): number | null {
  return milliseconds === null ? null : Math.floor(milliseconds / 1000);
}
