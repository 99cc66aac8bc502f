// Which values of `content-type` say a media type.
import { expect, test } from "vitest";
import { GRPC, isMediaType } from "./media-type.ts";

test.each([
  ["application/grpc", true],
  ["application/grpc+proto", true],
  ["application/grpc;charset=utf-8", true],
  ["application/grpc ; charset=utf-8", true],
  ["application/grpc-web", false],
  ["application/grpc-web+proto", false],
  ["application/grpc-web-text", false],
  ["application/grpcs", false],
  ["application/grp", false],
  ["", false],
  [undefined, false],
])("%j", (value, isGrpc) => {
  expect(isMediaType(value, GRPC)).toBe(isGrpc);
});
