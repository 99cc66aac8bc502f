// The 32-bit hash of texts that consistent hashing goes by. FNV-1a over the characters (RFC 9923), then the finalizer of
// MurmurHash3, because FNV alone leaves the high bits of short texts alike. It must never change between releases: all
// sidecars of a mesh have to agree on where a key belongs. Not for secrets, and not against chosen collisions.

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** @returns 0 .. 2^32-1 */
export function hashText(text: string, seed = 0): number {
  let hash = FNV_OFFSET ^ seed;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), FNV_PRIME);
    if (unit > 0xff) hash = Math.imul(hash ^ (unit >>> 8), FNV_PRIME);
  }
  return mix(hash);
}

/** Spreads a number over all 32 bits (fmix32 of MurmurHash3); a bijection. */
export function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
