import { render } from "preact";
import { App } from "./app";
import { followKeys } from "./state/keys";
import { followTheme } from "./state/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/shell.css";

followTheme();
followKeys();
const place = document.getElementById("app");
if (place) render(<App />, place);
