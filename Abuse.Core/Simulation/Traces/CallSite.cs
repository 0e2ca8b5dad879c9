using System.Diagnostics;
using System.Globalization;

namespace Abuse.Core;

/// <summary>The place in a program that a call came from: the nearest frame that is neither this library's nor the framework's.</summary>
internal static class CallSite
{
    private static readonly string Ours = typeof(CallSite).Assembly.GetName().Name!;

    /// <summary>Null where the stack has no such frame, as on a thread of a transport.</summary>
    internal static string? Find()
    {
        foreach (StackFrame frame in new StackTrace(fNeedFileInfo: true).GetFrames())
        {
            if (DiagnosticMethodInfo.Create(frame) is { } method && IsTheirs(method.DeclaringAssemblyName))
            {
                return Describe(frame, method);
            }
        }

        return null;
    }

    /// <summary>By the assembly's full name, of which the name is what comes before the first comma.</summary>
    private static bool IsTheirs(string assembly)
    {
        string name = assembly.Split(',')[0];
        return name != Ours && name is not ("System" or "mscorlib") && !name.StartsWith("System.", StringComparison.Ordinal);
    }

    private static string Describe(StackFrame frame, DiagnosticMethodInfo method)
    {
        // An asynchronous method is MoveNext of a class "Outer+<Name>d__1".
        string type = method.DeclaringTypeName ?? "";
        string name = method.Name;
        int open = type.LastIndexOf("+<", StringComparison.Ordinal);
        int close = type.IndexOf('>', Math.Max(open, 0));
        if (name == "MoveNext" && open >= 0 && close > open + 2)
        {
            name = type[(open + 2)..close];
            type = type[..open];
        }

        type = type[(type.LastIndexOfAny(['.', '+']) + 1)..];
        string? file = frame.GetFileName();
        return file is null
            ? $"{type}.{name}"
            : string.Create(CultureInfo.InvariantCulture, $"{type}.{name} ({Path.GetFileName(file)}:{frame.GetFileLineNumber()})");
    }
}
