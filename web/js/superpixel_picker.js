// Click superpixels on Mask from Superpixels (SLIC), while its `select` is `points` or `index`.
//
// The node sends its picture and a map of label numbers (a PNG: red is the lowest byte, then green and blue). A click
// writes into the node's own widgets, so that the selection is saved with the workflow and works without this file.

import { api } from "../../../scripts/api.js"
import { app } from "../../../scripts/app.js"
import { whenWidgetsChange } from "./widget_changes.js"

const NODE = "Liminal_MaskFromSLIC"
const KEPT = "liminal_superpixels" // in the node's properties: which files to show after a reload
const MAX_SIDE = 1024 // of the map that is drawn
const HEIGHT = 300
const TINTS = { plus: [255, 30, 30, 0.5], minus: [40, 90, 255, 0.5], hover: [255, 255, 255, 0.35] }
const HINT = "Run once, then click superpixels here."
const HELP = "Click: select or deselect. Right-click or Shift-click: exclude (points)."

const address = (file) => api.apiURL(`/view?${new URLSearchParams(file)}`)

const loadImage = (file) =>
  new Promise((resolve, reject) => {
    const image = new Image()
    image.onload = () => resolve(image)
    image.onerror = reject
    image.src = address(file)
  })

const pixelsOf = (image) => {
  const canvas = document.createElement("canvas")
  canvas.width = image.naturalWidth
  canvas.height = image.naturalHeight
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" })
  context.drawImage(image, 0, 0)
  return context.getImageData(0, 0, canvas.width, canvas.height).data
}

const readNumbers = (text) => {
  const numbers = new Set()
  for (const part of text.replace(/\s*-\s*/g, "-").split(/[,;\s]+/)) {
    const [first, last = first] = part.split("-").map(Number)
    if (part && Number.isInteger(first) && Number.isInteger(last))
      for (let number = first; number <= Math.min(last, first + 100000); number++) numbers.add(number)
  }
  return numbers
}

const writeNumbers = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const parts = []
  for (let start = 0; start < sorted.length; ) {
    let end = start
    while (sorted[end + 1] === sorted[end] + 1) end++
    parts.push(end > start ? `${sorted[start]}-${sorted[end]}` : `${sorted[start]}`)
    start = end + 1
  }
  return parts.join(", ")
}

const readPoints = (text) => {
  if (/^\s*[[{]/.test(text)) {
    try {
      const value = JSON.parse(text)
      return [value].flat().map((point) => (Array.isArray(point) ? point : [point.x, point.y]))
    } catch {
      return []
    }
  }
  return text
    .split(/[;\n]/)
    .map((line) => line.trim().split(/[,\s]+/).map(Number))
    .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y))
}

const writePoints = (points, separator) => points.map(([x, y]) => `${x}, ${y}`).join(separator)

class Picker {
  constructor(node) {
    this.node = node
    this.hovered = -1
    this.element = document.createElement("div")
    this.element.className = "liminal-superpixel-picker"
    this.element.style.cssText = "display:flex;flex-direction:column;gap:4px;width:100%;height:100%;overflow:hidden"
    this.canvas = document.createElement("canvas")
    this.canvas.style.cssText = "flex:1 1 0;min-height:0;width:100%;object-fit:contain;cursor:crosshair"
    this.line = document.createElement("div")
    // Two lines high whatever it says, or the picture would move under the mouse.
    this.line.style.cssText = "flex:none;height:26px;overflow:hidden;font:11px/13px sans-serif;opacity:0.7;text-align:center"
    this.line.textContent = HINT
    this.element.append(this.canvas, this.line)
    this.canvas.addEventListener("pointermove", (event) => this.hover(this.placeOf(event)))
    this.canvas.addEventListener("pointerleave", () => this.hover(null))
    this.canvas.addEventListener("pointerdown", (event) => this.press(event))
    for (const name of ["contextmenu", "pointerup", "click"])
      this.canvas.addEventListener(name, (event) => {
        event.preventDefault()
        event.stopPropagation()
      })
  }

  widget(name) {
    return this.node.widgets?.find((widget) => widget.name === name || widget.name === `select.${name}`)
  }

  get mode() {
    return this.widget("select")?.value
  }

  get isWanted() {
    return this.mode === "points" || this.mode === "index"
  }

  async show(files) {
    const [picture, labels] = await Promise.all([loadImage(files.picture), loadImage(files.labels)])
    const width = labels.naturalWidth
    const height = labels.naturalHeight
    const scale = Math.min(1, MAX_SIDE / Math.max(width, height))
    this.size = [width, height]
    this.canvas.width = Math.max(1, Math.round(width * scale))
    this.canvas.height = Math.max(1, Math.round(height * scale))
    const pixels = pixelsOf(labels)
    this.labelAt = (x, y) => {
      const at = 4 * (Math.min(height - 1, Math.floor(y)) * width + Math.min(width - 1, Math.floor(x)))
      return pixels[at] + 256 * pixels[at + 1] + 65536 * pixels[at + 2]
    }
    this.labels = new Int32Array(this.canvas.width * this.canvas.height)
    for (let y = 0, at = 0; y < this.canvas.height; y++)
      for (let x = 0; x < this.canvas.width; x++, at++)
        this.labels[at] = this.labelAt(((x + 0.5) * width) / this.canvas.width, ((y + 0.5) * height) / this.canvas.height)
    const context = this.canvas.getContext("2d", { willReadFrequently: true })
    context.drawImage(picture, 0, 0, this.canvas.width, this.canvas.height)
    this.picture = context.getImageData(0, 0, this.canvas.width, this.canvas.height)
    this.line.textContent = HELP
    this.draw()
  }

  selection() {
    const plus = new Set()
    const minus = new Set()
    if (this.mode === "index") return { plus: readNumbers(this.widget("numbers")?.value ?? ""), minus }
    for (const [x, y] of readPoints(this.widget("points")?.value ?? "")) plus.add(this.labelAt(x, y))
    for (const [x, y] of readPoints(this.widget("not_points")?.value ?? "")) minus.add(this.labelAt(x, y))
    return { plus, minus }
  }

  draw() {
    if (!this.picture) return
    const { width, height } = this.canvas
    const { plus, minus } = this.selection()
    const drawn = new ImageData(new Uint8ClampedArray(this.picture.data), width, height)
    const tint = (at, [red, green, blue, part]) => {
      drawn.data[at] += part * (red - drawn.data[at])
      drawn.data[at + 1] += part * (green - drawn.data[at + 1])
      drawn.data[at + 2] += part * (blue - drawn.data[at + 2])
    }
    for (let place = 0; place < this.labels.length; place++) {
      const label = this.labels[place]
      if (minus.has(label)) tint(4 * place, TINTS.minus)
      else if (plus.has(label)) tint(4 * place, TINTS.plus)
      if (label === this.hovered) tint(4 * place, TINTS.hover)
      const right = (place + 1) % width && this.labels[place + 1] !== label
      const below = place + width < this.labels.length && this.labels[place + width] !== label
      if (right || below) tint(4 * place, [255, 217, 0, 0.7])
    }
    this.canvas.getContext("2d").putImageData(drawn, 0, 0)
  }

  // Pixel of the picture under the pointer; the canvas is fitted into its box.
  placeOf(event) {
    if (!this.picture) return null
    const box = this.canvas.getBoundingClientRect()
    const scale = Math.min(box.width / this.canvas.width, box.height / this.canvas.height)
    const x = (event.clientX - box.left - (box.width - scale * this.canvas.width) / 2) / (scale * this.canvas.width)
    const y = (event.clientY - box.top - (box.height - scale * this.canvas.height) / 2) / (scale * this.canvas.height)
    return x < 0 || y < 0 || x >= 1 || y >= 1 ? null : [x * this.size[0], y * this.size[1]]
  }

  hover(place) {
    const label = place ? this.labelAt(...place) : -1
    if (label === this.hovered) return
    this.hovered = label
    this.line.textContent = label < 0 ? HELP : `superpixel ${label}`
    this.draw()
  }

  press(event) {
    const place = this.placeOf(event)
    if (!place || event.button === 1) return
    event.stopPropagation() // not preventDefault: at mouseup the interface looks for changes to remember
    const label = this.labelAt(...place)
    if (this.mode === "index") {
      const { plus } = this.selection()
      if (!plus.delete(label)) plus.add(label)
      this.write("numbers", writeNumbers(plus))
    } else {
      this.pressPoint(label, place.map(Math.floor), event.button === 2 || event.shiftKey)
    }
    this.draw()
  }

  pressPoint(label, place, isMinus) {
    const [name, other] = isMinus ? ["not_points", "points"] : ["points", "not_points"]
    const elsewhere = ([x, y]) => this.labelAt(x, y) !== label
    const read = (widget) => readPoints(this.widget(widget)?.value ?? "")
    const kept = { [name]: read(name).filter(elsewhere), [other]: read(other).filter(elsewhere) }
    const wasThere = kept[name].length < read(name).length
    const wasMinus = !isMinus && kept[other].length < read(other).length
    if (!wasThere && !wasMinus) kept[name].push(place)
    this.write("points", writePoints(kept.points, "\n"))
    this.write("not_points", writePoints(kept.not_points, "; "))
  }

  write(name, text) {
    const widget = this.widget(name)
    if (!widget || widget.value === text) return
    widget.value = text
    widget.callback?.(text)
    this.node.setDirtyCanvas?.(true, true)
  }
}

// A node whose result was cached is not notified: get it from the history of the run.
const askFor = async (run) => {
  const waiting = (app.graph?._nodes ?? []).filter((node) => node.liminalPicker?.isWanted && !node.liminalPicker.picture)
  if (!waiting.length) return
  const history = await (await api.fetchApi(`/history/${run}`)).json()
  for (const node of waiting) node.onExecuted(history[run]?.outputs?.[node.id])
}

app.registerExtension({
  name: "Liminal.SuperpixelPicker",

  setup() {
    api.addEventListener("execution_success", (event) => askFor(event.detail.prompt_id))
  },

  nodeCreated(node) {
    if (node.comfyClass !== NODE) return
    const picker = new Picker(node)
    const widget = node.addDOMWidget("picker", "liminal_superpixel_picker", picker.element, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => (picker.isWanted ? HEIGHT : 0),
      getMaxHeight: () => (picker.isWanted ? 4096 : 0),
    })
    widget.serialize = false
    node.liminalPicker = picker

    const refresh = () => {
      const wasHidden = widget.hidden
      widget.hidden = !picker.isWanted
      picker.element.style.visibility = picker.isWanted ? "visible" : "hidden"
      // In Nodes 2.0 the height comes from the element, not from the widget.
      picker.element.style.minHeight = picker.isWanted ? `${HEIGHT}px` : "0"
      fit(!wasHidden && widget.hidden)
      picker.draw()
    }
    // The canvas does not resize a node when a widget appears or goes.
    const fit = (isGone) => {
      const [width, height] = node.computeSize()
      node.setSize([Math.max(node.size[0], width), isGone ? height : Math.max(node.size[1], height)])
    }
    const show = (files) => picker.show(files).then(refresh, () => delete node.properties[KEPT])

    const executed = node.onExecuted
    node.onExecuted = function (output) {
      executed?.apply(this, arguments)
      const files = output?.[KEPT]?.[0]
      if (!files) return
      node.properties[KEPT] = files
      show(files)
    }
    whenWidgetsChange(node, "select", () => {
      refresh()
      if (node.properties[KEPT] && !picker.picture) show(node.properties[KEPT])
    })
    refresh()
  },
})
