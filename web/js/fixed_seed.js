// A new Train Model node keeps its seed, so that training resumes where it stopped instead of starting over.

import { app } from "../../../scripts/app.js"

app.registerExtension({
  name: "Liminal.FixedSeed",

  nodeCreated(node) {
    if (node.comfyClass !== "Liminal_TrainModel") return
    // The value of a saved workflow is read after this.
    const control = node.widgets?.find((widget) => widget.name === "control_after_generate")
    if (control) control.value = "fixed"
  },
})
