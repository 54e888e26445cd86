// Node-RED without an editor: what it does is in flows.json.
module.exports = {
  uiHost: "127.0.0.1",
  uiPort: Number(process.env.UI_PORT),
  httpAdminRoot: false,
  httpNodeRoot: false,
  flowFile: "flows.json",
  credentialSecret: false,
  telemetry: { enabled: false },
};
