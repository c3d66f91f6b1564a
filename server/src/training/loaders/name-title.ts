/** What a file without a title of its own is called: its name without folders and extension. */
export function titleOfName(name: string): string {
  const file = name.split('/').at(-1) ?? name;
  return (
    file
      .replace(/(?<=.)\.[a-z\d]{1,8}$/i, '')
      .replace(/[-_]+/g, ' ')
      .trim() || file
  );
}
