import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import type { ChatResult } from "@langchain/core/outputs";

interface Completion {
  readonly choices: readonly [{ readonly message: { readonly content: string }; readonly finish_reason: string }];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly total_tokens: number };
}

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

/**
 * A chat model over HTTP that costs little itself. In compressed time a provider's client takes long enough for bursts to queue at the client, and then
 * that is what is measured.
 */
export class LightModel extends BaseChatModel {
  readonly model = "gpt-4o-mini";
  readonly baseURL: string;

  constructor(baseURL: string) {
    super({});
    this.baseURL = baseURL;
  }

  override _llmType(): string {
    return "light";
  }

  override invocationParams(): Record<string, unknown> {
    return { model: this.model, baseURL: this.baseURL };
  }

  override async _generate(messages: BaseMessage[]): Promise<ChatResult> {
    const { choices, usage } = await this.#post({ model: this.model, messages: messages.map(({ content }) => ({ role: "user", content })) });
    const [{ message: { content }, finish_reason }] = choices;
    const usage_metadata = { input_tokens: usage.prompt_tokens, output_tokens: usage.completion_tokens, total_tokens: usage.total_tokens };
    return { generations: [{ text: content, message: new AIMessage({ content, usage_metadata, response_metadata: { finish_reason } }) }] };
  }

  #post(body: unknown): Promise<Completion> {
    return new Promise((resolve, reject) => {
      const sent = request(`${this.baseURL}/chat/completions`, { method: "POST", agent, headers: { "content-type": "application/json" } }, (response) => {
        text(response).then((read) => resolve(JSON.parse(read) as Completion), reject);
      });
      sent.on("error", reject).end(JSON.stringify(body));
    });
  }
}
