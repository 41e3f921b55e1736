import { defineConfig, type Plugin } from "vite";

const BUNDLED = ["preact", "uplot"];

/** What is bundled keeps its license. */
function licenses(): Plugin {
  return {
    name: "licenses",
    async generateBundle() {
      const texts = BUNDLED.map(async (name) => {
        const text = await this.fs.readFile(`node_modules/${name}/LICENSE`, { encoding: "utf8" });
        return `${name}\n\n${text.trim()}\n`;
      });
      const source = (await Promise.all(texts)).join("\n\n");
      this.emitFile({ type: "asset", fileName: "licenses.txt", source });
    },
  };
}

// The bundle is committed, so that users need no Node: nothing in it may depend on the machine
// or the hour.
export default defineConfig({
  base: "/",
  plugins: [licenses()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    outDir: "../src/penmark/studio/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: "assets/studio.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/studio[extname]",
      },
    },
  },
});
