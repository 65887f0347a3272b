import { ChatOpenAI, type ChatOpenAIFields } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import * as z from "zod";

const orders: Record<string, string> = {
  "A-1001": "shipped on Monday, arrives on Thursday",
  "A-1002": "delivered on 3 March and signed for",
  "A-1003": "waiting for payment",
  "A-1004": "returned by the customer, refund sent",
  "A-1005": "in preparation, leaves the warehouse tomorrow",
};

const euroRates: Record<string, number> = { EUR: 1, USD: 1.09, GBP: 0.85, CHF: 0.95, JPY: 163.4, SEK: 11.3, PLN: 4.31 };

const refundPolicies: Record<string, string> = {
  electronics: "14 days, unopened or defective",
  clothing: "30 days, unworn and with its label",
  books: "14 days, unread",
  groceries: "no refund, unless damaged on arrival",
  furniture: "30 days, the customer pays the return",
};

const orderStatus = tool(({ orderId }) => `Order ${orderId}: ${orders[orderId.toUpperCase()] ?? "not found"}.`, {
  name: "order_status",
  description: "Look up the delivery status of an order by its order number, such as A-1001.",
  schema: z.object({ orderId: z.string().describe("the order number, such as A-1001") }),
});

const exchangeRate = tool(
  ({ from, to }) => {
    const [sold, bought] = [euroRates[from.toUpperCase()], euroRates[to.toUpperCase()]];
    if (sold === undefined || bought === undefined) return `No exchange rate from ${from} to ${to}; known currencies: ${Object.keys(euroRates).join(", ")}.`;
    return `1 ${from.toUpperCase()} = ${(bought / sold).toFixed(4)} ${to.toUpperCase()}.`;
  },
  {
    name: "exchange_rate",
    description: "Get the exchange rate between two currencies, to convert money from one currency to another.",
    schema: z.object({
      from: z.string().describe("the currency to convert from, as a three-letter code such as USD"),
      to: z.string().describe("the currency to convert to, as a three-letter code such as EUR"),
    }),
  },
);

const refundPolicy = tool(({ category }) => `Refund policy for ${category}: ${refundPolicies[category]}.`, {
  name: "refund_policy",
  description: "Look up the refund and return policy of a product category: electronics, clothing, books, groceries or furniture.",
  schema: z.object({ category: z.enum(["electronics", "clothing", "books", "groceries", "furniture"]).describe("the product category") }),
});

/** A shop's support agent with three tools. */
export function createSupportAgent(connection: Pick<ChatOpenAIFields, "apiKey" | "configuration"> = {}) {
  return createAgent({
    model: new ChatOpenAI({ model: "gpt-4o-mini", temperature: 0, ...connection }),
    tools: [orderStatus, exchangeRate, refundPolicy],
    systemPrompt: "You are the support agent of an online shop. Use a tool whenever one can answer, then answer in one sentence.",
  });
}
