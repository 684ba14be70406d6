// A file of its own in the build: what draws charts takes longest of all to begin with, as it asks for the language's
// formats, and only one panel draws any.
export { default } from 'uplot'
