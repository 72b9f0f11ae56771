// The Vercel AI SDK in front of a gateway. The command line is `CASE OPTIONS`, the options in JSON;
// the gateway's address and the virtual key come in the environment, the SDK from the folder in which
// this runs. What each call returned or threw, and what went over the wire, is a JSON list on stdout.

import { createRequire } from "node:module";

const packages = createRequire(process.cwd() + "/");
const { APICallError, RetryError, embedMany, generateText, stepCountIs, streamText, tool } = packages("ai");
const { createOpenAI } = packages("@ai-sdk/openai");
const { z } = packages("zod");

const { GATEWAY, KEY, CLOCK } = process.env;
const [name, optionsText] = process.argv.slice(2);
const options = JSON.parse(optionsText);

globalThis.AI_SDK_LOG_WARNINGS = false;

let requests, waits, text;

// In place of the timer by which the SDK waits: nobody waits, but the gateway's clock may move. Node's
// own timers are left alone.
const later = globalThis.setTimeout;
globalThis.setTimeout = (done, milliseconds, ...rest) => {
  if (!new Error().stack.includes("/node_modules/@ai-sdk/")) return later(done, milliseconds, ...rest);
  waits.push(milliseconds);
  advance(milliseconds).then(() => done(...rest));
};

async function advance(milliseconds) {
  if (!CLOCK) return;
  const headers = { authorization: "Basic " + btoa(CLOCK), "content-type": "application/json" };
  const body = JSON.stringify({ advance: milliseconds + "ms" });
  await fetch(GATEWAY + "/api/test/clock", { method: "POST", headers, body });
}

// What goes over the wire, whatever the SDK says. Without a key it is to send none: it would refuse
// to be made without one.
async function watched(url, init) {
  const headers = new Headers(init.headers);
  if (!KEY) headers.delete("authorization");
  const answer = await fetch(url, { ...init, headers });
  requests.push({ path: new URL(url).pathname, body: JSON.parse(init.body), status: answer.status });
  return answer;
}

const openai = createOpenAI({ baseURL: GATEWAY + "/v1", apiKey: KEY ?? "unused", fetch: watched });

const { model: named = "mock-1", caller = "caller", store } = options;
const model = (name = named) => (options.api === "responses" ? openai.responses(name) : openai.chat(name));

const asked = () => ({ model: model(), prompt: "hi", providerOptions: { openai: { store } }, ...options.settings });

const cases = {
  async generate() {
    const answer = await generateText(asked());
    text = answer.text;
    return { finish: answer.finishReason, usage: answer.totalUsage, reasoning: answer.reasoningText };
  },

  async stream() {
    let thrown;
    const answer = streamText({ ...asked(), onError: ({ error }) => (thrown = error) });
    for await (const part of answer.textStream) text += part;
    if (thrown) throw thrown;
    const [finish, usage, reasoning] = await Promise.all([answer.finishReason, answer.totalUsage, answer.reasoningText]);
    return { finish, usage, reasoning };
  },

  async tool() {
    const inputs = [];
    const weather = tool({
      description: "The weather in a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async (input) => (inputs.push(input), { sky: "blue" }),
    });
    // The first model calls the tool, the second is given what it returned.
    const prepareStep = ({ stepNumber }) => ({ model: model(stepNumber === 0 ? caller : named) });
    const answer = await generateText({ ...asked(), tools: { weather }, stopWhen: stepCountIs(3), prepareStep });
    text = answer.text;
    const steps = answer.steps.map((step) => step.finishReason);
    const reasonings = answer.steps.map((step) => step.reasoningText ?? "");
    return { finish: answer.finishReason, usage: answer.totalUsage, inputs, steps, reasonings };
  },

  async embed() {
    const answer = await embedMany({ model: openai.embedding(named), values: ["hi", "there"] });
    const numbers = answer.embeddings.map((one) => one.length > 0 && one.every((it) => typeof it === "number"));
    return { numbers, usage: answer.usage };
  },
};

function thrown(error) {
  const last = RetryError.isInstance(error) ? error.lastError : error;
  const kind = APICallError.isInstance(last) ? "APICallError" : (last.name ?? typeof last);
  const { message = String(last), statusCode: status, isRetryable: retryable } = last;
  const body = last.responseBody ? JSON.parse(last.responseBody) : undefined;
  return { kind, message, status, retryable, body, tries: RetryError.isInstance(error) ? error.errors.length : 1 };
}

const seen = [];
for (let time = 0; time < (options.times ?? 1); time++) {
  [requests, waits, text] = [[], [], ""];
  const outcome = await cases[name]().then(
    (returned) => ({ returned }),
    (error) => ({ thrown: thrown(error) }),
  );
  seen.push({ ...outcome, requests, waits, text });
}
console.log(JSON.stringify(seen));
