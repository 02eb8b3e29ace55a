// Puts the parts together. A page reads well without any of them: they keep it as the journal is, send what a person
// asks for, and let keys do what a mouse does. Text is always set as text.
import { follow } from "./live.js";
import { listen } from "./keys.js";
import { send } from "./send.js";
import { drag } from "./drag.js";
import { converse } from "./talk.js";

send();
listen();
drag();
converse();
follow();
// From now on keys are heard.
document.body.dataset.heard = "";
