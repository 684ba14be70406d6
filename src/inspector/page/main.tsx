import { render } from 'preact'
import { App } from './app.js'
import { LiveSource } from './live-source.js'

const page = document.getElementById('page')!
page.textContent = ''
render(<App live={new LiveSource(document.baseURI)} />, page)
