const orders = ["A-1001", "A-1002", "A-1003", "A-1004", "A-1005", "A-1006"];
const currencies = ["EUR", "USD", "GBP", "CHF", "JPY", "SEK", "PLN"];
const categories = ["electronics", "clothing", "books", "groceries", "furniture"];

/** What customers of a shop ask; one of the agent's three tools answers each. */
export function agentQuestions(): string[] {
  return [
    ...orders.flatMap((order) => [`Where is my order ${order}?`, `What is the delivery status of order ${order}?`, `Has order ${order} been shipped?`]),
    ...currencies.flatMap((from) =>
      currencies.filter((to) => to !== from).map((to) => `What is the exchange rate from ${from} to ${to}?`),
    ),
    ...categories.flatMap((category) => [
      `What is the refund policy for ${category}?`,
      `Can I return ${category} and get a refund?`,
      `How long is the return policy for ${category}?`,
    ]),
  ];
}
