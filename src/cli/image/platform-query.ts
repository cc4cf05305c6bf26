/** `linux/arm64/v8` as the API's `platform` parameter of images: a JSON object. Undefined when none is given. */
export function platformQuery(text: string): string | undefined {
  if (text === '') return undefined;
  const [os = '', architecture = '', variant] = text.split('/');
  return JSON.stringify({ architecture, os, ...(variant !== undefined && { variant }) });
}
