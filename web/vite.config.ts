import { defineConfig } from 'vite';
import solid from 'vite-plugin-solid';

// One script and one style with fixed names: the binary embeds them, and a build of the same sources gives the same bytes.
export default defineConfig({
  base: './',
  plugins: [solid()],
  build: {
    outDir: '../crates/serve/page',
    emptyOutDir: true,
    target: 'es2023',
    assetsDir: '',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rollupOptions: {
      output: { entryFileNames: 'app.js', assetFileNames: 'app[extname]', inlineDynamicImports: true },
    },
  },
  // As the binary serves it, to try the policy without building the binary.
  preview: {
    headers: {
      'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    },
  },
  server: {
    host: '127.0.0.1',
    // The node that a developer looks at: FORETWIN=http://127.0.0.1:7878 npm run dev
    proxy: { '/api': process.env.FORETWIN ?? 'http://127.0.0.1:7878' },
  },
});
