namespace Abuse.Core.Guest;

/// <summary>All cases, in the order in which they run.</summary>
internal static class Catalogue
{
    internal static IReadOnlyList<Case> All { get; } =
    [
        .. FioCases.All, .. FileSystemCases.All, .. ShapeCases.All, .. FailureCases.All, .. ServerCases.All,
        .. LifeCases.All, .. RefusalCases.All, .. RecoveryCases.All, .. HandOverCases.All, .. LogWritesCases.All, .. NbdCases.All,
    ];

    internal static int Print()
    {
        foreach (Case one in All)
        {
            Console.WriteLine(Line(one));
        }

        return 0;
    }

    /// <summary>The tests outside read the cases from a file, which must say what the code says.</summary>
    internal static string? FindDifferenceToList()
    {
        using Stream stream = typeof(Catalogue).Assembly.GetManifestResourceStream("cases.txt")!;
        using var reader = new StreamReader(stream);
        string[] listed = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string[] here = [.. All.Select(Line)];
        string[] different = [.. listed.Except(here).Concat(here.Except(listed))];
        return different.Length == 0 && listed.Length == here.Length ? null
            : $"cases.txt is not what `guest list` prints: {string.Join(", ", different)}";
    }

    private static string Line(Case one) => $"{(one.Smoke ? "smoke" : "full")} {one.Name}";
}
