using System.Runtime.CompilerServices;

// Every P/Invoke takes blittable values alone, and the compiler holds it to that.
[assembly: DisableRuntimeMarshalling]
