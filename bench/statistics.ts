/** The value below which a share of the sorted samples lies (nearest rank); NaN for none. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** A row of a table: what was measured, then median, 95th percentile and number of samples. */
export function summary(
  name: string,
  samples: readonly number[],
  unit: string,
  digits = 0,
): string[] {
  const shown = (value: number) => (Number.isNaN(value) ? "–" : `${value.toFixed(digits)} ${unit}`);
  return [
    name,
    shown(percentile(samples, 0.5)),
    shown(percentile(samples, 0.95)),
    String(samples.length),
  ];
}

/** A Markdown table with columns as wide as they need to be. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) =>
    Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (cells[i] ?? "").padEnd(width)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
