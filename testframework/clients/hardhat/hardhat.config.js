// The project that hardhat.mjs runs in: one network, the one under test.
import hardhatEthers from "@nomicfoundation/hardhat-ethers";
import { defineConfig } from "hardhat/config";

export default defineConfig({
  plugins: [hardhatEthers],
  networks: {
    tercet: {
      type: "http",
      chainType: "l1",
      url: process.env.TERCET_URL,
      accounts: process.env.TERCET_KEYS.split(","),
    },
  },
});
