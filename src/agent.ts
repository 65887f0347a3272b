export { perfMiddleware } from "./langchain/middleware.ts";
