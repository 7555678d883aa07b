// Runs the page's engine under Node: node engine.mjs <engine text> <model file> < requests > answers.
import fs from "node:fs";

const [text, file] = process.argv.slice(2);
const { Engine, splitter } = await import(`data:text/javascript;base64,${fs.readFileSync(text).toString("base64")}`);
const engine = new Engine();
const bytes = fs.readFileSync(file);
const plain = (_key, value) => (ArrayBuffer.isView(value) ? [...value] : value);

function answer({ call, request }) {
  try {
    if (call === "split") return { answer: request.text.match(splitter(request.pattern)) ?? [] };
    return { answer: engine[call](request) };
  } catch (error) {
    return { error: error.message };
  }
}
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const requests = [{ call: "load", request: { buffer } }, ...JSON.parse(fs.readFileSync(0, "utf8"))];
process.stdout.write(JSON.stringify(requests.map(answer), plain));
