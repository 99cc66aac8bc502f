// Ages, tables, trees, colours, and text from elsewhere.
import { expect, test } from "vitest";
import { ageOf, formatAge } from "./age.ts";
import { fieldLines } from "./fields.ts";
import { tableLines } from "./table.ts";
import { painter, printable, wantsColor } from "./text.ts";
import { treeLines } from "./tree.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test.each([
  [-5, "0s"],
  [999, "0s"],
  [119_999, "119s"],
  [2 * MINUTE, "2m"],
  [3 * MINUTE + 12_000, "3m12s"],
  [12 * MINUTE + 12_000, "12m"],
  [HOUR, "1h"],
  [7 * HOUR + 5 * MINUTE, "7h5m"],
  [26 * HOUR, "26h"],
  [48 * HOUR, "2d"],
  [75 * HOUR, "3d3h"],
  [400 * 24 * HOUR, "400d"],
])("%i ms ago reads %s", (elapsedMs, text) => {
  expect(formatAge(elapsedMs)).toBe(text);
});

test("a moment that never was has no age", () => {
  expect(ageOf(0, 1_000)).toBe("-");
});

test("a table pads every column but the last, and paint does not count as width", () => {
  const columns = [
    { header: "NAME", cell: (row: string[]) => row[0] ?? "", style: () => "red" as const },
    { header: "B", cell: (row: string[]) => row[1] ?? "" },
  ];
  expect(
    tableLines(
      columns,
      [
        ["long name", ""],
        ["x", "y"],
      ],
      painter(true),
    ),
  ).toEqual(["NAME        B", "\u001b[31mlong name\u001b[39m   <none>", "\u001b[31mx\u001b[39m           y"]);
});

test("a table of many rows is drawn without deep recursion or spread", () => {
  const rows = Array.from({ length: 200_000 }, (_, index) => index);
  expect(tableLines([{ header: "N", cell: String }], rows, painter(false))).toHaveLength(200_001);
});

test("a tree draws its branches", () => {
  expect(treeLines({ label: "a", children: [{ label: "b", children: [{ label: "c" }] }, { label: "d" }] })).toEqual([
    "a",
    "├─ b",
    "│  └─ c",
    "└─ d",
  ]);
});

test("fields align, repeat under their name, and vanish without a value", () => {
  expect(
    fieldLines([
      ["Name", "x"],
      ["Labels", ["a=b", "c=d"]],
      ["None", ""],
    ]),
  ).toEqual(["Name:    x", "Labels:  a=b", "         c=d"]);
});

test("control characters are shown, never sent to the terminal", () => {
  expect(printable("a\u001b[2Jb\r\nc\u0000\u009b1m")).toBe("a\\x1b[2Jb  c\\x00\\x9b1m");
});

test.each([
  [true, {}, true],
  [false, {}, false],
  [true, { NO_COLOR: "1" }, false],
  [true, { NO_COLOR: "" }, true],
  [true, { TERM: "dumb" }, false],
])("colour with isTTY %s and %j: %s", (isTTY, env, expected) => {
  expect(wantsColor({ isTTY, env })).toBe(expected);
});
