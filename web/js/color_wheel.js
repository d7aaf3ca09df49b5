// A color wheel on Mask from Superpixels (SLIC), while its `select` is `color`. It writes into the node's own widget,
// which can be typed into as well. The interface's widget for colors works in one of its two renderers only.

import { app } from "../../../scripts/app.js"
import { whenWidgetsChange } from "./widget_changes.js"

const NODE = "Liminal_MaskFromSLIC"
const HEIGHT = 28

app.registerExtension({
  name: "Liminal.ColorWheel",

  nodeCreated(node) {
    if (node.comfyClass !== NODE) return
    const wheel = document.createElement("input")
    wheel.type = "color"
    wheel.className = "liminal-color-wheel"
    wheel.style.cssText = "width:100%;padding:0;border:none;background:none;cursor:pointer"
    const color = () => node.widgets.find((widget) => widget.name === "select.color")
    const widget = node.addDOMWidget("wheel", "liminal_color_wheel", wheel, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => (color() ? HEIGHT : 0),
      getMaxHeight: () => (color() ? HEIGHT : 0),
    })
    widget.serialize = false

    wheel.addEventListener("input", () => {
      const typed = color()
      if (!typed) return
      typed.value = wheel.value
      typed.callback?.(wheel.value)
      node.setDirtyCanvas?.(true, true)
    })
    const refresh = () => {
      const typed = color()
      const wasHidden = widget.hidden
      widget.hidden = !typed
      wheel.style.display = typed ? "block" : "none"
      wheel.style.height = typed ? `${HEIGHT}px` : "0"
      if (/^#[0-9a-f]{6}$/i.test(typed?.value ?? "")) wheel.value = typed.value
      if (wasHidden && typed) node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])])
    }
    whenWidgetsChange(node, "select", refresh)
    refresh()
  },
})
