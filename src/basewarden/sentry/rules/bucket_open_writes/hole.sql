INSERT INTO storage.buckets (id, name, public) VALUES ('avatars', 'avatars', true), ('invoices', 'invoices', false);
CREATE POLICY "Upload" ON storage.objects FOR INSERT WITH CHECK (bucket_id = 'avatars');
