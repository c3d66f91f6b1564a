/** How Pinecone is reached, and what an index is made like when there is none. */
export interface PineconeSettings {
  readonly apiKey: string;
  /** Name of the index; those of other widths are called `name-width`. */
  readonly index: string;
  /** Address of the index, or of a control plane (a local Pinecone); null: looked up by name. */
  readonly host: string | null;
  /** Address of the control plane; null: Pinecone's own. */
  readonly controllerHost: string | null;
  readonly cloud: 'aws' | 'gcp' | 'azure';
  readonly region: string;
  /** Of indexes that are made. Vectors are normalised, so both order alike; sparse values need `dotproduct`. */
  readonly metric: 'cosine' | 'dotproduct';
  /** Writes the weights of a chunk's words beside its vector, and asks for both. */
  readonly sparse: boolean;
}
