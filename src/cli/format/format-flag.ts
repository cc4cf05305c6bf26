const REFERENCE = `
  |'json':             Print in JSON format
  |'TEMPLATE':         Print output using the given Go template.
  |Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates`;

/** `--format` of commands that print tables. */
export const LIST_FORMAT = `
      --format string  Format output using a custom template:
  |'table':            Print output in table format with column headers (default)
  |'table TEMPLATE':   Print output in table format using the given Go template${REFERENCE}
`;

/** `--format` of commands that print documents. */
export const FORMAT = `
      --format string  Format output using a custom template:${REFERENCE}
`;

/** The same with its shorthand. */
export const SHORT_FORMAT = `
  -f, --format string  Format output using a custom template:${REFERENCE}
`;
