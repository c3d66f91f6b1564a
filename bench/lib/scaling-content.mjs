// Documents that differ, and questions that they answer.

export const TOPICS = [
  'invoices',
  'holidays',
  'passwords',
  'deliveries',
  'returns',
  'meetings',
  'laptops',
  'contracts',
];
const PARTS = [
  'the office',
  'new colleagues',
  'partners abroad',
  'the warehouse',
  'the evening shift',
  'guests',
  'the board',
];

/** Some 1,300 characters a section, which is about one chunk. */
export function documentOf({ topic, number, sections }) {
  const name = TOPICS[topic % TOPICS.length];
  const parts = Array.from({ length: sections }, (_, section) => {
    const sentences = Array.from({ length: 12 }, (_, sentence) => {
      const part = PARTS[(number + section + sentence) % PARTS.length];
      return `Rule ${number}-${section}-${sentence} about ${name} for ${part} says that team ${section * 31 + sentence} waits ${sentence + 2} days before it asks desk ${number} again.`;
    });
    return `## ${name} part ${section}\n\n${sentences.join(' ')}`;
  });
  return `# ${name} ${number}\n\n${parts.join('\n\n')}\n`;
}

export function questionOf(topic, number) {
  const part = PARTS[number % PARTS.length];
  return `Question ${number}: How many days does a team wait for ${TOPICS[topic % TOPICS.length]} for ${part}?`;
}
