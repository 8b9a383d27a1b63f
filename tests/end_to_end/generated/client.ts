import { Configuration, DefaultApi, ModelErrorFromJSON, ResponseError } from "./typescript-fetch";

declare const process: { argv: string[] };

async function main() {
  const [basePath, apiKey] = process.argv.slice(2);
  const api = new DefaultApi(new Configuration({ basePath, apiKey }));
  const placeOrderRequest = { productId: "507f1f77bcf86cd799439011", typeId: "TEST_PARTIAL", quantity: 4 };
  const { orderId } = (await api.placeOrder({ placeOrderRequest })).data;
  const order = (await api.checkOrder({ orderId })).data;
  const from = new Date("2025-01-01");
  const listed = (await api.list({ from })).data.items;
  const transactions = (await api.transactions({ from, to: new Date("2100-01-01") })).data.items;
  const error = await api.checkOrder({ orderId: "0".repeat(24) }).catch((thrown) => (thrown as ResponseError).response);
  console.log(JSON.stringify({
    order: orderId,
    status: order.status,
    cards: order.cards!.map((card) => card.value),
    listed: listed.map((row) => row.id),
    transactions: transactions.map((row) => row.type),
    error: ModelErrorFromJSON(await (error as Response).json()).error.code,
  }));
}

main();
