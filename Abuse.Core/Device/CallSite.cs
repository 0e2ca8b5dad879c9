using System.Diagnostics;
using System.Globalization;

namespace Abuse.Core;

/// <summary>The place in a program that a call came from: the nearest frame that is neither this library's nor the framework's.</summary>
/// <remarks>
/// A bio that was queued is started by whatever thread comes first, and the stack there is somebody else's. So where it matters
/// (<see cref="BlockTarget.WantsCallSites"/>) the place is found when the bio is queued, and goes with it: a search that gets to a pump ends there.
/// </remarks>
internal static class CallSite
{
    /// <summary>Stands for a place that was searched in vain.</summary>
    private const string Nowhere = "";

    /// <summary>Where the bio came from that the innermost pump of this thread has started; null where nobody searched.</summary>
    [ThreadStatic]
    internal static string? OfPumped;

    private static readonly string Ours = typeof(CallSite).Assembly.GetName().Name!;

    /// <summary>To go with a bio into the queue: as <see cref="Find"/>, and never null.</summary>
    internal static string Capture() => Find() ?? Nowhere;

    /// <summary>Null where the stack has no such frame, as on a thread of a transport.</summary>
    internal static string? Find()
    {
        foreach (StackFrame frame in new StackTrace(fNeedFileInfo: true).GetFrames())
        {
            if (DiagnosticMethodInfo.Create(frame) is not { } method)
            {
                continue;
            }

            if (IsTheirs(method.DeclaringAssemblyName))
            {
                return Describe(frame, method);
            }

            if (OfPumped is not null && method.Name == nameof(AttachedConsumer.Pump) && method.DeclaringTypeName == typeof(AttachedConsumer).FullName)
            {
                return OfPumped == Nowhere ? null : OfPumped;
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
